package org.pentaho.metastore.api;

/** Handed on, and not looked into. */
public interface IMetaStore {}
