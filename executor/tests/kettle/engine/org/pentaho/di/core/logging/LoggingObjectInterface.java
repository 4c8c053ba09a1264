package org.pentaho.di.core.logging;

public interface LoggingObjectInterface {
  String getObjectName();

  String getFilename();

  String getLogChannelId();

  LoggingObjectInterface getParent();

  LoggingObjectType getObjectType();

  String getObjectCopy();

  LogLevel getLogLevel();

  String getContainerObjectId();
}
