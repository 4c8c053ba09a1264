package org.pentaho.di.core.parameters;

import java.util.Map;
import java.util.TreeMap;

public class NamedParamsDefault implements NamedParams {
  private final Map<String, String[]> all = new TreeMap<>();

  public void addParameterDefinition(String key, String defValue, String description) {
    all.put(key, new String[] {"", defValue});
  }

  private String[] known(String key) throws UnknownParamException {
    String[] found = all.get(key);
    if (found == null) {
      throw new UnknownParamException("Parameter '" + key + "' is unknown.");
    }
    return found;
  }

  @Override
  public void setParameterValue(String key, String value) throws UnknownParamException {
    known(key)[0] = value;
  }

  @Override
  public String getParameterValue(String key) throws UnknownParamException {
    return known(key)[0];
  }

  @Override
  public String getParameterDefault(String key) throws UnknownParamException {
    return known(key)[1];
  }

  @Override
  public String[] listParameters() {
    return all.keySet().toArray(new String[0]);
  }

  @Override
  public void copyParametersFrom(NamedParams params) {
    all.clear();
    try {
      for (String name : params.listParameters()) {
        all.put(name, new String[] {params.getParameterValue(name), params.getParameterDefault(name)});
      }
    } catch (UnknownParamException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  @Override
  public void activateParameters() {}
}
