package org.pentaho.di.core.variables;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

public class Variables implements VariableSpace {
  private final Map<String, String> all = new ConcurrentHashMap<>();

  @Override
  public void initializeVariablesFrom(VariableSpace parent) {
    for (String name : System.getProperties().stringPropertyNames()) {
      all.put(name, System.getProperty(name));
    }
    if (parent != null) {
      copyVariablesFrom(parent);
    }
  }

  @Override
  public void copyVariablesFrom(VariableSpace space) {
    for (String name : space.listVariables()) {
      all.put(name, space.getVariable(name));
    }
  }

  /** Of `${NAME}`: what is not known stays as it is. */
  @Override
  public String environmentSubstitute(String text) {
    StringBuilder out = new StringBuilder();
    int at = 0;
    for (int open; (open = text.indexOf("${", at)) >= 0; ) {
      int close = text.indexOf('}', open);
      String value = close < 0 ? null : all.get(text.substring(open + 2, close));
      out.append(text, at, open).append(value == null ? "${" : value);
      at = value == null ? open + 2 : close + 1;
    }
    return out.append(text.substring(at)).toString();
  }

  @Override
  public String getVariable(String name) {
    return all.get(name);
  }

  @Override
  public void setVariable(String name, String value) {
    all.put(name, value);
  }

  @Override
  public String[] listVariables() {
    return all.keySet().toArray(new String[0]);
  }
}
