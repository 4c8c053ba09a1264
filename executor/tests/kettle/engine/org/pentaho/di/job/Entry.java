package org.pentaho.di.job;

import java.util.Arrays;
import org.pentaho.di.base.AbstractMeta;
import org.pentaho.di.core.Result;
import org.pentaho.di.core.exception.KettleException;
import org.pentaho.di.core.logging.LogChannel;
import org.pentaho.di.core.logging.LogLevel;
import org.pentaho.di.core.logging.LoggingObjectInterface;
import org.pentaho.di.core.logging.LoggingObjectType;
import org.pentaho.di.core.parameters.NamedParams;
import org.pentaho.di.core.parameters.UnknownParamException;
import org.pentaho.di.trans.Trans;
import org.pentaho.di.trans.TransExecutionConfiguration;
import org.pentaho.di.trans.TransMeta;
import org.w3c.dom.Element;

/** An entry while it is run. A file of its own is given its job's parameters, and variables. */
final class Entry implements LoggingObjectInterface {
  private static final int LOOK_MS = 1;
  private final Job job;
  private final Element about;
  private final LogChannel log;

  Entry(Job job, Element about) {
    this.job = job;
    this.about = about;
    this.log = new LogChannel(this, job.getLogLevel());
  }

  Result execute() {
    Result result = new Result();
    result.setResult(true);
    String file = job.environmentSubstitute(AbstractMeta.text(about, "filename")).replaceFirst("^file://", "");
    try {
      switch (AbstractMeta.text(about, "type")) {
        case "SPECIAL":
        case "SUCCESS":
          break;
        case "TRANS":
          result.setNrErrors(transformation(file));
          break;
        case "JOB":
          return within(file);
        default:
          throw new KettleException("no plug-in is " + AbstractMeta.text(about, "type"));
      }
    } catch (Exception error) {
      log.logError("Unable to open or run it: " + error.getMessage());
      result.setNrErrors(1);
    }
    result.setResult(result.getNrErrors() == 0);
    return result;
  }

  private void hand(NamedParams to) throws UnknownParamException {
    for (String name : to.listParameters()) {
      if (Arrays.asList(job.listParameters()).contains(name)) {
        to.setParameterValue(name, job.getParameterValue(name));
      }
    }
  }

  private int transformation(String file) throws Exception {
    TransMeta meta = new TransMeta(file);
    Trans trans = new Trans(meta, this);
    trans.setLogLevel(job.getLogLevel());
    trans.initializeVariablesFrom(job);
    meta.setInternalKettleVariables(trans);
    hand(trans);
    for (DelegationListener one : job.getDelegationListeners()) {
      one.transformationDelegationStarted(trans, new TransExecutionConfiguration());
    }
    trans.execute(null);
    while (!trans.isFinished()) {
      if (job.isStopped()) {
        trans.stopAll();
        break;
      }
      Thread.sleep(LOOK_MS);
    }
    trans.waitUntilFinished();
    return job.isStopped() || trans.getErrors() > 0 ? 1 : 0;
  }

  /** In a thread of its own, which is told to end once we are. */
  private Result within(String file) throws Exception {
    JobMeta meta = new JobMeta(file, null);
    Job inner = new Job(null, meta, this);
    inner.setLogLevel(job.getLogLevel());
    inner.initializeVariablesFrom(job);
    meta.setInternalKettleVariables(inner);
    inner.copyParametersFrom(meta);
    hand(inner);
    inner.activateParameters();
    for (DelegationListener one : job.getDelegationListeners()) {
      one.jobDelegationStarted(inner, new JobExecutionConfiguration());
    }
    Result[] result = new Result[1];
    Thread thread = new Thread(() -> result[0] = inner.execute());
    thread.start();
    while (thread.isAlive()) {
      if (job.isStopped()) {
        inner.stopAll();
      }
      thread.join(LOOK_MS);
    }
    return result[0];
  }

  @Override
  public String getObjectName() {
    return AbstractMeta.text(about, "name");
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
    return job;
  }

  @Override
  public LoggingObjectType getObjectType() {
    return LoggingObjectType.JOBENTRY;
  }

  @Override
  public String getObjectCopy() {
    return null;
  }

  @Override
  public LogLevel getLogLevel() {
    return job.getLogLevel();
  }

  @Override
  public String getContainerObjectId() {
    return job.getContainerObjectId();
  }
}
