package org.pentaho.di.core.logging;

public class KettleLoggingEvent {
  public long timeStamp;
  private final Object message;

  public KettleLoggingEvent(Object message, long timeStamp, LogLevel level) {
    this.message = message;
    this.timeStamp = timeStamp;
  }

  public Object getMessage() {
    return message;
  }
}
