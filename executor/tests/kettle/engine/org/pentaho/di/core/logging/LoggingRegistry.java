package org.pentaho.di.core.logging;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

public class LoggingRegistry {
  private static final LoggingRegistry REGISTRY = new LoggingRegistry();
  private final Map<String, LoggingObjectInterface> map = new ConcurrentHashMap<>();

  private LoggingRegistry() {}

  public static LoggingRegistry getInstance() {
    return REGISTRY;
  }

  /** Two live objects that are equal have one channel. */
  synchronized String register(LoggingObjectInterface of) {
    LoggingObject object = new LoggingObject(of);
    for (LoggingObjectInterface one : map.values()) {
      if (((LoggingObject) one).same(object)) {
        return one.getLogChannelId();
      }
    }
    object.setLogChannelId(UUID.randomUUID().toString());
    map.put(object.getLogChannelId(), object);
    return object.getLogChannelId();
  }

  public LoggingObjectInterface getLoggingObject(String logChannelId) {
    return map.get(logChannelId);
  }

  public Map<String, LoggingObjectInterface> getMap() {
    return map;
  }

  public List<String> getLogChannelChildren(String parentLogChannelId) {
    List<String> all = new ArrayList<>();
    for (LoggingObjectInterface one : map.values()) {
      if (one.getParent() != null && parentLogChannelId.equals(one.getParent().getLogChannelId())) {
        all.addAll(getLogChannelChildren(one.getLogChannelId()));
      }
    }
    all.add(parentLogChannelId);
    return all;
  }

  public void removeIncludingChildren(String logChannelId) {
    map.keySet().removeAll(getLogChannelChildren(logChannelId));
  }
}
