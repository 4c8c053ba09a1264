package org.pentaho.di.core.exception;

public class KettleMissingPluginsException extends KettleException {
  public KettleMissingPluginsException(String message) {
    super(message);
  }
}
