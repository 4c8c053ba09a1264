package org.pentaho.di.trans;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.pentaho.di.base.AbstractMeta;
import org.pentaho.di.core.logging.LogChannel;
import org.pentaho.di.core.logging.LogLevel;
import org.pentaho.di.core.logging.LoggingObjectInterface;
import org.pentaho.di.core.logging.LoggingObjectType;
import org.pentaho.di.trans.step.StepInterface;
import org.w3c.dom.Element;

/** One copy of a step, in a thread of its own: RowGenerator, WriteToLog and Abort. A row is one text. */
final class Step implements StepInterface, LoggingObjectInterface, Runnable {
  static final String END = new String("end");
  private static final int POLL_MS = 10;

  final BlockingQueue<String> in;
  final BlockingQueue<String> out;
  final LogChannel log;
  private final Trans trans;
  private final Element about;
  private final String name;
  private volatile boolean stopped;
  private volatile long read;
  private volatile long written;
  private volatile long errors;
  private long limit;

  Step(Trans trans, Element about, BlockingQueue<String> in, BlockingQueue<String> out) {
    this.trans = trans;
    this.about = about;
    this.in = in;
    this.out = out;
    this.name = AbstractMeta.text(about, "name");
    this.log = new LogChannel(this, trans.getLogLevel());
  }

  String text(String tag) {
    return trans.environmentSubstitute(AbstractMeta.text(about, tag));
  }

  /** What no plug-in is there for, and what is no number, fails here. */
  boolean init() {
    String type = AbstractMeta.text(about, "type");
    try {
      limit = type.equals("RowGenerator") ? Long.parseLong(text("limit")) : 0;
    } catch (NumberFormatException odd) {
      log.logError("Wrong limit: " + text("limit"));
      return false;
    }
    if (!type.equals("RowGenerator") && !type.equals("WriteToLog") && !type.equals("Abort")) {
      log.logError("Error initializing step [" + name + "]: no plug-in is " + type);
      return false;
    }
    return true;
  }

  void stop() {
    stopped = true;
  }

  @Override
  public void run() {
    try {
      if (in == null) {
        generate();
      } else {
        follow();
      }
      put(END);
    } catch (InterruptedException gone) {
      errors++;
    }
    log.logBasic("Finished processing (I=0, O=0, R=" + read + ", W=" + written + ", U=0, E=" + errors + ")");
    trans.finished(this);
  }

  private void generate() throws InterruptedException {
    boolean endless = text("never_ending").equals("Y");
    // A value is what it says: no variables are filled in.
    String row = AbstractMeta.text(AbstractMeta.child(AbstractMeta.child(about, "fields"), "field"), "nullif");
    for (long number = 0; !stopped && (endless || number < limit); number++) {
      if (put(row)) {
        written++;
      }
      if (endless) {
        Thread.sleep(Long.parseLong(text("interval_in_ms")));
      }
    }
  }

  private void follow() throws InterruptedException {
    while (!stopped) {
      String row = in.poll(POLL_MS, TimeUnit.MILLISECONDS);
      if (row == END) {
        return;
      }
      if (row == null) {
        continue;
      }
      read++;
      if (AbstractMeta.text(about, "type").equals("Abort")) {
        errors++;
        log.logMinimal("Row nr " + read + " causing abort : [" + row + "]");
        log.logError(text("message"));
        return;
      }
      log.logBasic("\n------------> Linenr " + read + "------------------------------\n" + text("logmessage") + "\n\nmsg = " + row + "\n\n====================");
      if (put(row)) {
        written++;
      }
    }
  }

  /** What nobody takes goes nowhere, and is counted all the same. */
  private boolean put(String row) throws InterruptedException {
    while (out != null && !stopped) {
      if (out.offer(row, POLL_MS, TimeUnit.MILLISECONDS)) {
        return true;
      }
    }
    return out == null;
  }

  @Override
  public String getObjectName() {
    return name;
  }

  @Override
  public String getFilename() {
    return null;
  }

  @Override
  public String getLogChannelId() {
    return log == null ? null : log.getLogChannelId();
  }

  @Override
  public LoggingObjectInterface getParent() {
    return trans;
  }

  @Override
  public LoggingObjectType getObjectType() {
    return LoggingObjectType.STEP;
  }

  @Override
  public String getObjectCopy() {
    return "0";
  }

  @Override
  public LogLevel getLogLevel() {
    return trans.getLogLevel();
  }

  @Override
  public String getContainerObjectId() {
    return trans.getContainerObjectId();
  }

  @Override
  public long getLinesInput() {
    return 0;
  }

  @Override
  public long getLinesOutput() {
    return 0;
  }

  @Override
  public long getLinesRead() {
    return read;
  }

  @Override
  public long getLinesWritten() {
    return written;
  }

  @Override
  public long getLinesUpdated() {
    return 0;
  }

  @Override
  public long getLinesRejected() {
    return 0;
  }

  @Override
  public long getErrors() {
    return errors;
  }
}
