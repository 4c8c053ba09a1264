package org.pentaho.di.core.logging;

import java.io.PrintStream;

public class KettleLogStore {
  /** The first that it sees: whoever wants it for himself takes it away before this class is loaded. */
  public static PrintStream OriginalSystemOut = System.out;

  private static final LoggingBuffer BUFFER = new LoggingBuffer();
  private static boolean initialized;

  public static void init(int maxSize, int maxLogTimeoutMinutes, boolean redirectStdOut, boolean redirectStdErr) {
    initialized = true;
    BUFFER.setMaxNrLines(maxSize);
  }

  public static LoggingBuffer getAppender() {
    if (!initialized) {
      throw new RuntimeException("Central Log Store is not initialized!!!");
    }
    return BUFFER;
  }

  public static void discardLines(String parentLogChannelId, boolean includeGeneralMessages) {
    for (String channel : LoggingRegistry.getInstance().getLogChannelChildren(parentLogChannelId)) {
      BUFFER.removeChannelFromBuffer(channel);
    }
  }
}
