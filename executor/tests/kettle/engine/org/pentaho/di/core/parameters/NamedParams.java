package org.pentaho.di.core.parameters;

public interface NamedParams {
  void setParameterValue(String key, String value) throws UnknownParamException;

  String getParameterValue(String key) throws UnknownParamException;

  String getParameterDefault(String key) throws UnknownParamException;

  String[] listParameters();

  void copyParametersFrom(NamedParams params);

  void activateParameters();
}
