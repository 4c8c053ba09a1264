package org.pentaho.di.metastore;

import java.io.File;
import org.pentaho.metastore.api.IMetaStore;
import org.pentaho.metastore.api.exceptions.MetaStoreException;

public class MetaStoreConst {
  /** Below user.home: no variable moves that. */
  public static IMetaStore openLocalPentahoMetaStore() throws MetaStoreException {
    String home = System.getProperty("user.home");
    if (!new File(home).isDirectory()) {
      throw new MetaStoreException("there is no folder " + home);
    }
    return new IMetaStore() {};
  }
}
