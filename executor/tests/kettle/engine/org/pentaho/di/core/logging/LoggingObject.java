package org.pentaho.di.core.logging;

import java.util.Objects;

/** What the registry keeps of who has a channel: not the thing itself. */
class LoggingObject implements LoggingObjectInterface {
  private final LoggingObjectInterface of;
  private final String name;
  private final String file;
  private final LoggingObjectInterface parent;
  private final String container;
  private String channel;

  LoggingObject(LoggingObjectInterface of) {
    this.of = of;
    this.name = of.getObjectName();
    this.file = of.getFilename();
    LoggingObjectInterface above = of.getParent();
    LoggingObjectInterface kept =
        above == null || above.getLogChannelId() == null ? null : LoggingRegistry.getInstance().getLoggingObject(above.getLogChannelId());
    this.parent = kept == null ? above : kept;
    this.container = above == null ? of.getContainerObjectId() : above.getContainerObjectId();
  }

  /** Equal name and file, below the same channel or below none: unless their families have ids of their own. */
  boolean same(LoggingObject other) {
    return Objects.equals(container, other.container)
        && Objects.equals(name, other.name)
        && Objects.equals(file, other.file)
        && Objects.equals(getObjectCopy(), other.getObjectCopy())
        && getObjectType() == other.getObjectType()
        && Objects.equals(above(), other.above());
  }

  private String above() {
    return parent == null ? null : parent.getLogChannelId();
  }

  void setLogChannelId(String channel) {
    this.channel = channel;
  }

  @Override
  public String getObjectName() {
    return name;
  }

  @Override
  public String getFilename() {
    return file;
  }

  @Override
  public String getLogChannelId() {
    return channel;
  }

  @Override
  public LoggingObjectInterface getParent() {
    return parent;
  }

  @Override
  public LoggingObjectType getObjectType() {
    return of.getObjectType();
  }

  @Override
  public String getObjectCopy() {
    return of.getObjectCopy();
  }

  @Override
  public LogLevel getLogLevel() {
    return of.getLogLevel();
  }

  @Override
  public String getContainerObjectId() {
    return container;
  }
}
