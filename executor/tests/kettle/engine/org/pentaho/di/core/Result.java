package org.pentaho.di.core;

/** Of a job: it holds no counts of rows. */
public class Result implements Cloneable {
  private boolean result;
  private long errors;

  public boolean getResult() {
    return result;
  }

  public void setResult(boolean result) {
    this.result = result;
  }

  public long getNrErrors() {
    return errors;
  }

  public void setNrErrors(long errors) {
    this.errors = errors;
  }
}
