package org.pentaho.di.core.logging;

/** Who says it is looked up when it is said. */
public class LogMessage {
  private final String message;
  private final String channel;
  private final LogLevel level;
  private final LoggingObjectInterface subject;

  public LogMessage(String message, String logChannelId, LogLevel level) {
    this.message = message;
    this.channel = logChannelId;
    this.level = level;
    this.subject = LoggingRegistry.getInstance().getLoggingObject(logChannelId);
  }

  public String getMessage() {
    return message;
  }

  public String getLogChannelId() {
    return channel;
  }

  public String getSubject() {
    return subject == null ? null : subject.getObjectName();
  }

  public String getCopy() {
    return subject == null ? null : subject.getObjectCopy();
  }

  public boolean isError() {
    return level.isError();
  }
}
