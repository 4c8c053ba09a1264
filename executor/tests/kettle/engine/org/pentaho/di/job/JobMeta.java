package org.pentaho.di.job;

import java.util.List;
import org.pentaho.di.base.AbstractMeta;
import org.pentaho.di.core.exception.KettleXMLException;
import org.pentaho.di.core.variables.VariableSpace;
import org.pentaho.di.repository.Repository;
import org.w3c.dom.Element;

public class JobMeta extends AbstractMeta {
  public JobMeta(String fname, Repository rep) throws KettleXMLException {
    super(fname, "");
  }

  Element entry(String name) {
    return children(child(root, "entries"), "entry").stream().filter(one -> text(one, "name").equals(name)).findFirst().get();
  }

  List<Element> hops() {
    return children(child(root, "hops"), "hop");
  }

  @Override
  public void setInternalKettleVariables(VariableSpace space) {
    directory(space, "Internal.Job.Filename.Directory");
    directory(space, "Internal.Entry.Current.Directory");
  }
}
