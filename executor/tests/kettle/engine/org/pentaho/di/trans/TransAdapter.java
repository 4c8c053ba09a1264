package org.pentaho.di.trans;

import org.pentaho.di.core.exception.KettleException;

public class TransAdapter implements TransListener {
  @Override
  public void transStarted(Trans trans) {}

  @Override
  public void transActive(Trans trans) {}

  @Override
  public void transFinished(Trans trans) throws KettleException {}
}
