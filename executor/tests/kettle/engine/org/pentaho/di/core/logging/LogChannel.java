package org.pentaho.di.core.logging;

public class LogChannel {
  private final String id;
  private LogLevel level;

  public LogChannel(LoggingObjectInterface subject, LogLevel level) {
    id = LoggingRegistry.getInstance().register(subject);
    this.level = level;
  }

  public String getLogChannelId() {
    return id;
  }

  public void setLogLevel(LogLevel level) {
    this.level = level;
  }

  private void say(String text, LogLevel at) {
    if (at.isVisible(level)) {
      KettleLogStore.getAppender().add(new KettleLoggingEvent(new LogMessage(text, id, at), System.currentTimeMillis(), at));
    }
  }

  public void logError(String text) {
    say(text, LogLevel.ERROR);
  }

  public void logMinimal(String text) {
    say(text, LogLevel.MINIMAL);
  }

  public void logBasic(String text) {
    say(text, LogLevel.BASIC);
  }
}
