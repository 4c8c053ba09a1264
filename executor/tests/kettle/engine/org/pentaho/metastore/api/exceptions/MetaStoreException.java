package org.pentaho.metastore.api.exceptions;

public class MetaStoreException extends Exception {
  public MetaStoreException(String message) {
    super(message);
  }
}
