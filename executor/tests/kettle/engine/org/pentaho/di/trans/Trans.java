package org.pentaho.di.trans;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.pentaho.di.core.exception.KettleException;
import org.pentaho.di.core.logging.LogChannel;
import org.pentaho.di.core.logging.LogLevel;
import org.pentaho.di.core.logging.LoggingObjectInterface;
import org.pentaho.di.core.logging.LoggingObjectType;
import org.pentaho.di.core.parameters.NamedParams;
import org.pentaho.di.core.parameters.NamedParamsDefault;
import org.pentaho.di.core.parameters.UnknownParamException;
import org.pentaho.di.core.variables.VariableSpace;
import org.pentaho.di.core.variables.Variables;
import org.pentaho.di.trans.step.StepMetaDataCombi;
import org.pentaho.metastore.api.IMetaStore;
import org.w3c.dom.Element;

public class Trans extends Variables implements NamedParams, LoggingObjectInterface {
  private static final int ROWS_MAX = 100;

  private final TransMeta meta;
  private final LoggingObjectInterface parent;
  private final NamedParamsDefault params = new NamedParamsDefault();
  private final List<TransListener> listeners = new CopyOnWriteArrayList<>();
  private final CountDownLatch over = new CountDownLatch(1);
  private LogChannel log;
  private LogLevel level = LogLevel.BASIC;
  private volatile List<StepMetaDataCombi> steps;
  private volatile boolean stopped;
  private volatile boolean finished;
  private int left;

  public Trans(TransMeta transMeta, LoggingObjectInterface parent) {
    this.meta = transMeta;
    this.parent = parent;
    this.log = new LogChannel(this, level);
    copyParametersFrom(transMeta);
  }

  public String getName() {
    return meta.getName();
  }

  public void setLogLevel(LogLevel logLevel) {
    level = logLevel;
    log.setLogLevel(logLevel);
  }

  public void setMetaStore(IMetaStore metaStore) {}

  public void addTransListener(TransListener transListener) {
    listeners.add(transListener);
  }

  public List<StepMetaDataCombi> getSteps() {
    return steps;
  }

  /** Makes the steps, and fails if one of them cannot begin. */
  public void prepareExecution(String[] arguments) throws KettleException {
    activateParameters();
    log.logBasic("Dispatching started for transformation [" + getName() + "]");
    List<StepMetaDataCombi> made = new ArrayList<>();
    steps = made;
    BlockingQueue<String> before = null;
    List<Element> all = meta.steps();
    for (Element about : all) {
      boolean last = about == all.get(all.size() - 1);
      BlockingQueue<String> after = last ? null : new ArrayBlockingQueue<>(ROWS_MAX);
      StepMetaDataCombi combi = new StepMetaDataCombi();
      combi.stepname = org.pentaho.di.base.AbstractMeta.text(about, "name");
      combi.step = new Step(this, about, before, after);
      made.add(combi);
      before = after;
    }
    boolean well = true;
    for (StepMetaDataCombi one : made) {
      if (!((Step) one.step).init()) {
        log.logError("Step [" + one.stepname + ".0] failed to initialize!");
        well = false;
      }
    }
    if (!well) {
      tellFinished();
      throw new KettleException("We failed to initialize at least one step.  Execution can not begin!");
    }
  }

  /** That it was stopped before is forgotten; its steps have not. */
  public void startThreads() throws KettleException {
    for (TransListener one : listeners) {
      one.transStarted(this);
    }
    dawdle();
    stopped = false;
    left = steps.size();
    for (StepMetaDataCombi one : steps) {
      new Thread((Step) one.step, getName() + " - " + one.stepname).start();
    }
  }

  /** standin.slow: so many milliseconds before it forgets that it was stopped. */
  public static void dawdle() {
    try {
      Thread.sleep(Integer.getInteger("standin.slow", 0));
    } catch (InterruptedException gone) {
      Thread.currentThread().interrupt();
    }
  }

  public void execute(String[] arguments) throws KettleException {
    prepareExecution(arguments);
    startThreads();
  }

  synchronized void finished(Step step) {
    left--;
    if (step.getErrors() > 0) {
      log.logMinimal("Transformation detected one or more steps with errors.");
      log.logMinimal("Transformation is killing the other steps!");
      steps.forEach(one -> ((Step) one.step).stop());
    }
    if (left == 0) {
      tellFinished();
    }
  }

  private void tellFinished() {
    finished = true;
    try {
      for (TransListener one : listeners) {
        one.transFinished(this);
      }
    } catch (KettleException error) {
      log.logError(error.getMessage());
    }
    over.countDown();
  }

  public void waitUntilFinished() {
    try {
      over.await();
    } catch (InterruptedException error) {
      throw new RuntimeException("Waiting for transformation to be finished interrupted!", error);
    }
  }

  public void stopAll() {
    if (steps == null) {
      return;
    }
    for (StepMetaDataCombi one : steps) {
      ((Step) one.step).stop();
    }
    stopped = true;
  }

  public boolean isStopped() {
    return stopped;
  }

  public boolean isFinished() {
    return finished;
  }

  public int getErrors() {
    return steps == null ? 0 : (int) steps.stream().mapToLong(one -> one.step.getErrors()).sum();
  }

  public void cleanup() {}

  @Override
  public void setParameterValue(String key, String value) throws UnknownParamException {
    params.setParameterValue(key, value);
  }

  @Override
  public String getParameterValue(String key) throws UnknownParamException {
    return params.getParameterValue(key);
  }

  @Override
  public String getParameterDefault(String key) throws UnknownParamException {
    return params.getParameterDefault(key);
  }

  @Override
  public String[] listParameters() {
    return params.listParameters();
  }

  @Override
  public void copyParametersFrom(NamedParams from) {
    params.copyParametersFrom(from);
  }

  @Override
  public void activateParameters() {
    activate(params, this);
  }

  /** What has no value has its default. */
  public static void activate(NamedParams params, VariableSpace space) {
    try {
      for (String name : params.listParameters()) {
        String value = params.getParameterValue(name);
        space.setVariable(name, value.isEmpty() ? params.getParameterDefault(name) : value);
      }
    } catch (UnknownParamException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  @Override
  public String getObjectName() {
    return getName();
  }

  @Override
  public String getFilename() {
    return meta.getFilename();
  }

  @Override
  public String getLogChannelId() {
    return log == null ? null : log.getLogChannelId();
  }

  @Override
  public LoggingObjectInterface getParent() {
    return parent;
  }

  @Override
  public LoggingObjectType getObjectType() {
    return LoggingObjectType.TRANS;
  }

  @Override
  public String getObjectCopy() {
    return null;
  }

  @Override
  public LogLevel getLogLevel() {
    return level;
  }

  @Override
  public String getContainerObjectId() {
    return parent == null ? null : parent.getContainerObjectId();
  }
}
