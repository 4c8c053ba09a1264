package org.pentaho.di.repository;

/** None is ever given. */
public interface Repository {}
