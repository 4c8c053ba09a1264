package org.pentaho.di.core.exception;

public class KettleException extends Exception {
  public KettleException(String message) {
    super(message);
  }

  public KettleException(String message, Throwable cause) {
    super(message, cause);
  }
}
