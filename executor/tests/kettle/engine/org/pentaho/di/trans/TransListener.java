package org.pentaho.di.trans;

import org.pentaho.di.core.exception.KettleException;

public interface TransListener {
  void transStarted(Trans trans) throws KettleException;

  void transActive(Trans trans);

  void transFinished(Trans trans) throws KettleException;
}
