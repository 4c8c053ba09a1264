package org.pentaho.di.core.logging;

/** It has no channel, and is in no registry. */
public class SimpleLoggingObject implements LoggingObjectInterface {
  private final String name;
  private final LoggingObjectType type;
  private final LoggingObjectInterface parent;
  private String container;

  public SimpleLoggingObject(String objectName, LoggingObjectType loggingObjectType, LoggingObjectInterface parent) {
    this.name = objectName;
    this.type = loggingObjectType;
    this.parent = parent;
  }

  @Override
  public String getObjectName() {
    return name;
  }

  @Override
  public String getFilename() {
    return null;
  }

  @Override
  public String getLogChannelId() {
    return null;
  }

  @Override
  public LoggingObjectInterface getParent() {
    return parent;
  }

  @Override
  public LoggingObjectType getObjectType() {
    return type;
  }

  @Override
  public String getObjectCopy() {
    return null;
  }

  @Override
  public LogLevel getLogLevel() {
    return LogLevel.BASIC;
  }

  @Override
  public String getContainerObjectId() {
    return container;
  }

  public void setContainerObjectId(String containerObjectId) {
    container = containerObjectId;
  }
}
