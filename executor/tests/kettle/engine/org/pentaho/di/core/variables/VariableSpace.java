package org.pentaho.di.core.variables;

public interface VariableSpace {
  void initializeVariablesFrom(VariableSpace parent);

  void copyVariablesFrom(VariableSpace space);

  String environmentSubstitute(String text);

  String getVariable(String name);

  void setVariable(String name, String value);

  String[] listVariables();
}
