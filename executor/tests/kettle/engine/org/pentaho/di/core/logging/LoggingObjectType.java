package org.pentaho.di.core.logging;

public enum LoggingObjectType {
  CARTE,
  GENERAL,
  JOB,
  JOBENTRY,
  STEP,
  TRANS
}
