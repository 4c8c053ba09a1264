package org.pentaho.di.core.logging;

import java.text.SimpleDateFormat;
import java.util.Date;

/** Time and subject before each line; that it is an error before the first only. */
public class KettleLogLayout {
  private final boolean time;

  public KettleLogLayout(boolean addTime) {
    time = addTime;
  }

  public String format(KettleLoggingEvent event) {
    LogMessage message = (LogMessage) event.getMessage();
    StringBuilder out = new StringBuilder();
    for (String line : message.getMessage().split("\n")) {
      boolean first = out.length() == 0;
      out.append(first ? "" : "\n");
      out.append(time ? new SimpleDateFormat("yyyy/MM/dd HH:mm:ss").format(new Date(event.timeStamp)) + " - " : "");
      if (message.getSubject() != null) {
        out.append(message.getSubject()).append(message.getCopy() == null ? "" : "." + message.getCopy()).append(" - ");
      }
      out.append(first && message.isError() ? "ERROR (version stand-in, build 1 from 2026-11-30 by nobody) : " : "").append(line);
    }
    return out.toString();
  }
}
