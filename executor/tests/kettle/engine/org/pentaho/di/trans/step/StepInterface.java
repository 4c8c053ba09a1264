package org.pentaho.di.trans.step;

public interface StepInterface {
  long getLinesInput();

  long getLinesOutput();

  long getLinesRead();

  long getLinesWritten();

  long getLinesUpdated();

  long getLinesRejected();

  long getErrors();
}
