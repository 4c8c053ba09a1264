package org.pentaho.di.core.logging;

public enum LogLevel {
  NOTHING,
  ERROR,
  MINIMAL,
  BASIC,
  DETAILED,
  DEBUG,
  ROWLEVEL;

  public boolean isVisible(LogLevel filter) {
    return filter.ordinal() >= ordinal();
  }

  public boolean isError() {
    return this == ERROR;
  }
}
