package org.pentaho.di.core.exception;

public class KettleXMLException extends KettleException {
  public KettleXMLException(String message, Throwable cause) {
    super(message, cause);
  }
}
