package org.pentaho.di.core.parameters;

public class UnknownParamException extends Exception {
  public UnknownParamException(String message) {
    super(message);
  }
}
