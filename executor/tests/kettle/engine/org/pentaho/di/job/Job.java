package org.pentaho.di.job;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.pentaho.di.base.AbstractMeta;
import org.pentaho.di.core.Result;
import org.pentaho.di.core.logging.LogChannel;
import org.pentaho.di.core.logging.LogLevel;
import org.pentaho.di.core.logging.LoggingObjectInterface;
import org.pentaho.di.core.logging.LoggingObjectType;
import org.pentaho.di.core.parameters.NamedParams;
import org.pentaho.di.core.parameters.NamedParamsDefault;
import org.pentaho.di.core.parameters.UnknownParamException;
import org.pentaho.di.core.variables.VariableSpace;
import org.pentaho.di.core.variables.Variables;
import org.pentaho.di.repository.Repository;
import org.pentaho.di.trans.Trans;
import org.w3c.dom.Element;

/** Entries one after the other, as their hops say: START, SUCCESS, TRANS and JOB. */
public class Job extends Thread implements VariableSpace, NamedParams, LoggingObjectInterface {
  final LogChannel log;
  private final JobMeta meta;
  private final LoggingObjectInterface parent;
  private final Variables variables = new Variables();
  private final NamedParamsDefault params = new NamedParamsDefault();
  private final List<DelegationListener> delegations = new CopyOnWriteArrayList<>();
  private LogLevel level = LogLevel.BASIC;
  private volatile boolean stopped;
  private volatile Result result;

  public Job(Repository repository, JobMeta jobMeta, LoggingObjectInterface parentLogging) {
    meta = jobMeta;
    parent = parentLogging;
    log = new LogChannel(this, level);
  }

  /** That it was stopped before is forgotten, and the parameters are those of its meta once more. */
  @Override
  public void run() {
    stopped = false;
    meta.setInternalKettleVariables(this);
    copyParametersFrom(meta);
    activateParameters();
    log.logMinimal("Start of job execution");
    Trans.dawdle();
    stopped = false;
    result = execute();
    log.logMinimal("Job execution finished");
  }

  Result execute() {
    return follow("START", new Entry(this, meta.entry("START")).execute());
  }

  private Result follow(String name, Result before) {
    Result last = before;
    for (Element hop : meta.hops()) {
      boolean fits =
          AbstractMeta.text(hop, "unconditional").equals("Y") || AbstractMeta.text(hop, "evaluation").equals("Y") == before.getResult();
      if (!AbstractMeta.text(hop, "from").equals(name) || !fits || stopped) {
        continue;
      }
      String next = AbstractMeta.text(hop, "to");
      log.logBasic("Starting entry [" + next + "]");
      last = follow(next, new Entry(this, meta.entry(next)).execute());
      log.logBasic("Finished job entry [" + next + "] (result=[" + last.getResult() + "])");
    }
    return last;
  }

  public void addDelegationListener(DelegationListener delegationListener) {
    delegations.add(delegationListener);
  }

  public List<DelegationListener> getDelegationListeners() {
    return delegations;
  }

  public Result getResult() {
    return result;
  }

  public void stopAll() {
    stopped = true;
  }

  public boolean isStopped() {
    return stopped;
  }

  public void setLogLevel(LogLevel logLevel) {
    level = logLevel;
    log.setLogLevel(logLevel);
  }

  @Override
  public void initializeVariablesFrom(VariableSpace space) {
    variables.initializeVariablesFrom(space);
  }

  @Override
  public void copyVariablesFrom(VariableSpace space) {
    variables.copyVariablesFrom(space);
  }

  @Override
  public String environmentSubstitute(String text) {
    return variables.environmentSubstitute(text);
  }

  @Override
  public String getVariable(String name) {
    return variables.getVariable(name);
  }

  @Override
  public void setVariable(String name, String value) {
    variables.setVariable(name, value);
  }

  @Override
  public String[] listVariables() {
    return variables.listVariables();
  }

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
    Trans.activate(params, this);
  }

  @Override
  public String getObjectName() {
    return meta.getName();
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
    return LoggingObjectType.JOB;
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
