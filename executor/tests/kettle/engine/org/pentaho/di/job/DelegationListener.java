package org.pentaho.di.job;

import org.pentaho.di.trans.Trans;
import org.pentaho.di.trans.TransExecutionConfiguration;

public interface DelegationListener {
  void jobDelegationStarted(Job delegatedJob, JobExecutionConfiguration jobExecutionConfiguration);

  void transformationDelegationStarted(Trans delegatedTrans, TransExecutionConfiguration transExecutionConfiguration);
}
