package org.pentaho.di.trans;

import java.util.List;
import org.pentaho.di.base.AbstractMeta;
import org.pentaho.di.core.exception.KettleMissingPluginsException;
import org.pentaho.di.core.exception.KettleXMLException;
import org.pentaho.di.core.variables.VariableSpace;
import org.w3c.dom.Element;

public class TransMeta extends AbstractMeta {
  public TransMeta(String fname) throws KettleXMLException, KettleMissingPluginsException {
    super(fname, "info");
  }

  /** A chain, in the order of the file: the samples have no more. */
  List<Element> steps() {
    return children(root, "step");
  }

  @Override
  public void setInternalKettleVariables(VariableSpace space) {
    directory(space, "Internal.Transformation.Filename.Directory");
  }
}
