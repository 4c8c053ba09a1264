package org.pentaho.di.trans;

public class TransExecutionConfiguration {}
