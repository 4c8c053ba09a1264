package org.pentaho.di.core.logging;

public interface KettleLoggingEventListener {
  void eventAdded(KettleLoggingEvent event);
}
