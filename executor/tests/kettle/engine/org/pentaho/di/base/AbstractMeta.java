package org.pentaho.di.base;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.pentaho.di.core.exception.KettleXMLException;
import org.pentaho.di.core.parameters.NamedParamsDefault;
import org.pentaho.di.core.variables.VariableSpace;
import org.pentaho.metastore.api.IMetaStore;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/** A file that is run, and the parameters that it declares. */
public abstract class AbstractMeta extends NamedParamsDefault {
  protected final Element root;
  private final String file;
  private final String name;
  private IMetaStore metaStore;

  /** `header`: the element with name and parameters in it; empty: the root. */
  protected AbstractMeta(String file, String header) throws KettleXMLException {
    this.file = file;
    try {
      root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(new File(file)).getDocumentElement();
    } catch (Exception error) {
      throw new KettleXMLException("The file could not be loaded from XML file [" + file + "]", error);
    }
    Element head = header.isEmpty() ? root : child(root, header);
    name = text(head, "name");
    Element parameters = child(head, "parameters");
    for (Element one : parameters == null ? new ArrayList<Element>() : children(parameters, "parameter")) {
      addParameterDefinition(text(one, "name"), text(one, "default_value"), text(one, "description"));
    }
  }

  public static List<Element> children(Element of, String tag) {
    List<Element> all = new ArrayList<>();
    for (Node node = of.getFirstChild(); node != null; node = node.getNextSibling()) {
      if (node instanceof Element && node.getNodeName().equals(tag)) {
        all.add((Element) node);
      }
    }
    return all;
  }

  public static Element child(Element of, String tag) {
    List<Element> all = children(of, tag);
    return all.isEmpty() ? null : all.get(0);
  }

  public static String text(Element of, String tag) {
    Element found = child(of, tag);
    return found == null ? "" : found.getTextContent();
  }

  public String getName() {
    return name;
  }

  public String getFilename() {
    return file;
  }

  public IMetaStore getMetaStore() {
    return metaStore;
  }

  public void setMetaStore(IMetaStore metaStore) {
    this.metaStore = metaStore;
  }

  /** Where the file is. */
  protected void directory(VariableSpace space, String variable) {
    space.setVariable(variable, "file://" + new File(file).getParent());
  }

  public abstract void setInternalKettleVariables(VariableSpace space);
}
