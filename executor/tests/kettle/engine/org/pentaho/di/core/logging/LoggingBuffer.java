package org.pentaho.di.core.logging;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** The last lines of all, and who is told of each. */
public class LoggingBuffer {
  private final Deque<KettleLoggingEvent> lines = new ArrayDeque<>();
  private final List<KettleLoggingEventListener> listeners = new CopyOnWriteArrayList<>();
  private int most;

  void setMaxNrLines(int maxNrLines) {
    most = maxNrLines;
  }

  void add(KettleLoggingEvent event) {
    synchronized (lines) {
      lines.add(event);
      while (most > 0 && lines.size() > most) {
        lines.remove();
      }
    }
    listeners.forEach(listener -> listener.eventAdded(event));
  }

  void removeChannelFromBuffer(String channel) {
    synchronized (lines) {
      lines.removeIf(event -> channel.equals(((LogMessage) event.getMessage()).getLogChannelId()));
    }
  }

  public int size() {
    return lines.size();
  }

  public void addLoggingEventListener(KettleLoggingEventListener listener) {
    listeners.add(listener);
  }
}
