package org.pentaho.di.core;

import org.pentaho.di.core.exception.KettleException;
import org.pentaho.di.core.logging.KettleLogLayout;
import org.pentaho.di.core.logging.KettleLogStore;

public class KettleEnvironment {
  private static boolean initialized;

  /** It opens the log store anew, by what kettle.properties says: without a limit, if that says so. */
  public static synchronized void init() throws KettleException {
    if (initialized) {
      return;
    }
    initialized = true;
    KettleLogStore.init(Integer.getInteger("KETTLE_MAX_LOG_SIZE_IN_LINES", 0), 1440, false, false);
    if (!"Y".equals(System.getProperty("KETTLE_DISABLE_CONSOLE_LOGGING"))) {
      KettleLogLayout layout = new KettleLogLayout(true);
      KettleLogStore.getAppender().addLoggingEventListener(event -> KettleLogStore.OriginalSystemOut.println(layout.format(event)));
    }
  }
}
