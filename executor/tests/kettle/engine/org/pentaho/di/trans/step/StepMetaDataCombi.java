package org.pentaho.di.trans.step;

public class StepMetaDataCombi {
  public String stepname;
  public int copy;
  public StepInterface step;
}
