package org.pentaho.di.job;

public class JobExecutionConfiguration {}
