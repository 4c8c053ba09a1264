#!/bin/bash
# The stand-in's JVM with Kitchen and Pan in it: options, log lines and exit codes as recorded of 7.1 and 8.3. It runs
# what the samples are made of and nothing else. STANDIN=mute: never begins. STANDIN=login: waits
# for a browser before it opens a repository. STANDIN=heap: has no heap left. STANDIN=nothing: ends well, and has exported
# nothing. STANDIN=cut: dies in the middle of an export. STANDIN=partial: cannot load an object. STANDIN=endless: its export has no end. What a repository would have
# in a database is in the folder `database/NAME` of its KETTLE_HOME, who may log in stands in `database/NAME.login`.
declare -A property given default value
main='' file='' rep='' dir=/ object='' level=Basic norep=N list=N initial='' user='' export=''
take_property() { local pair=${1#-D}; property[${pair%%=*}]=${pair#*=}; }
take_all() { # of a variable with options; what comes later beats what came before
  [ -n "${!1:-}" ] || return 0
  echo "Picked up $1: ${!1}" >&2
  local one all
  eval "all=(${!1})"
  for one in "${all[@]}"; do case $one in -D*) take_property "$one" ;; esac; done
}
take_all JAVA_TOOL_OPTIONS
while [ $# -gt 0 ]; do
  case $1 in
    -XX:MaxPermSize=*)
      echo "Unrecognized VM option '${1#-XX:}'"
      echo 'Error: Could not create the Java Virtual Machine.'
      exit 1 ;;
    -D*) take_property "$1" ;;
    -X*) ;;
    *) break ;;
  esac
  shift
done
take_all _JAVA_OPTIONS
main=$1
shift
[ "${STANDIN:-}" != mute ] || { sleep 1000; exit 1; }
# -name=value, -name:value, /name:value, -name value; what is not known is an argument of the job.
option() {
  case $1 in
    file) file=$2 ;; rep) rep=$2 ;; dir) dir=$2 ;; job | trans) object=$2 ;; level) level=$2 ;;
    user) user=$2 ;; exprep) export=$2 ;;
    initialDir) initial=$2 ;; norep) norep=${2:-Y} ;; listparam) list=Y ;;
    param) [ -n "${given[${2%%=*}]+x}" ] || given[${2%%=*}]=${2#*=} ;;
  esac
}
while [ $# -gt 0 ]; do
  text=${1#[-/]}
  shift
  case $text in
    norep | listparam) option "$text" '' ;;
    param:*) option param "${text#param:}" ;;
    [A-Za-z]*=*) option "${text%%=*}" "${text#*=}" ;;
    [A-Za-z]*:*) option "${text%%:*}" "${text#*:}" ;;
    user | pass | file | rep | dir | job | trans | level | initialDir | exprep)
      option "$text" "${1:-}"
      [ $# -eq 0 ] || shift ;;
  esac
done
case $level in Nothing | Error | Minimal | Basic | Detailed | Debug | Rowlevel) ;; *) level=Basic ;; esac
now() { date '+%Y/%m/%d %H:%M:%S'; }
line() { case $level in Nothing | Error | Minimal) ;; *) echo "$(now) - $1 - $2" ;; esac; }
own() { case $level in Nothing | Error) ;; *) echo "$(now) - $who - $1" ;; esac; }
error() { [ "$level" = Nothing ] || echo "$(now) - $1 - ERROR (version 8.3.0.0-371, build 8.3.0.0-371 from 2019-06-11 11.09.08 by buildguy) : $2"; }
who=Kitchen
[ "$main" = org.pentaho.di.kitchen.Kitchen ] || who=Pan
own "Logging is at level : $level"
own 'Start of run.'
[ "${STANDIN:-}" != login ] || [ -z "$rep" ] || sleep 1000
# KETTLE_REPOSITORY beats the command line, unless -norep says not to.
[ -z "${property[KETTLE_REPOSITORY]:-}" ] || [ "$norep" = Y ] || { rep=${property[KETTLE_REPOSITORY]}; file=; }
# As the exporter writes it: each object with its name and directory as the repository has them.
exported() {
  local path name where
  find "$base" -name "*.$1" -type f | LC_ALL=C sort | while read -r path; do
    name=$(basename "$path" ".$1")
    where=${path#"$base"}
    where=${where%/*}
    sed '/^<?xml/d' "$path" | tr '\n' '\001' | sed "s|<directory>[^<]*</directory>||; s|<name>[^<]*</name>|<name>$name</name>\n    <directory>${where:-/}</directory>|" | tr '\001' '\n'
    case ${STANDIN:-} in cut | partial) exit 1 ;; esac
  done
}
if [ -n "$rep" ]; then
  home=${property[KETTLE_HOME]:-$HOME}
  xml=$home/.kettle/repositories.xml
  base=$(sed -n "s|.*<name>$rep</name>.*<base_directory>\(.*\)</base_directory>.*|\1|p" "$xml" 2>/dev/null)
  [ -n "$base" ] || [ ! -d "$home/database/$rep" ] || base=$home/database/$rep
  if [ -z "$base" ]; then
    echo "ERROR: $who can't continue because the repository [$rep] could not be found." >&2
    [ -z "$export" ] || exit 7
    [ "$who" = Kitchen ] && exit 2
    exit 1
  fi
  if [ -f "$base.login" ] && [ "$(cat "$base.login")" != "$user:${property[KETTLE_PASSWORD]:-}" ]; then
    error $who 'Error connecting to the repository!'
    line $who ''
    line $who 'Incorrect password for user'
    exit 1
  fi
  if [ -n "$export" ]; then
    [ "${STANDIN:-}" != nothing ] || exit 0
    echo "Exporting all objects in the repository to file [$export]"
    {
      printf '<?xml version="1.0" encoding="UTF-8"?>\n<repository>\n\n<transformations>\n'
      [ "${STANDIN:-}" != endless ] || yes '<transformation><info><name>a</name></info></transformation>' || exit 1
      # What cannot be loaded ends it, and the file is closed all the same.
      exported ktr || { [ "$STANDIN" != partial ] || printf '</transformations>\n</repository>\n'; exit 1; }
      printf '</transformations>\n<jobs>\n'
      exported kjb || exit 1
      printf '</jobs>\n</repository>\n\n'
    } >"$export" || { error $who 'Unable to write the export'; exit 1; }
    echo "Finished exporting all objects in the repository to file [$export]"
    exit 0
  fi
  extension=kjb
  [ "$who" = Kitchen ] || extension=ktr
  file=$base/${dir#/}/$object.$extension
fi
case $file in /*) ;; *) file=$initial$file ;; esac
if ! grep -qs '<transformation>\|<job>' "$file"; then
  echo "ERROR: $who can't continue because the ${object:-job} couldn't be loaded." >&2
  [ "$who" = Pan ] && [ -z "$rep" ] && exit 1
  exit 7
fi
# What stands before the steps or entries.
declared() { sed '/<order>\|<entries>/q' "$1" | grep -o '<parameter><name>[^<]*</name><default_value>[^<]*' | sed 's|<parameter><name>||; s|</name><default_value>|=|'; }
while IFS='=' read -r name text; do [ -z "$name" ] || default[$name]=$text; done < <(declared "$file")
if [ "$list" = Y ]; then
  for name in "${!default[@]}"; do echo "Parameter: $name=, default=${default[$name]} : "; done
  exit 7
fi
for name in "${!default[@]}"; do value[$name]=${given[$name]-${default[$name]}}; done
[ "${STANDIN:-}" != heap ] || { echo 'java.lang.OutOfMemoryError: Java heap space' >&2; exit 1; }
filled() {
  local text=$1 name
  for name in "${!value[@]}"; do text=${text//"\${$name}"/${value[$name]}}; done
  for name in "${!property[@]}"; do text=${text//"\${$name}"/${property[$name]}}; done
  echo "$text"
}
transformation() {
  local of name rows message row
  of=$(cat "$1")
  name=$(grep -o '<info><name>[^<]*' <<<"$of" | sed 's/.*>//')
  while IFS='=' read -r one text; do [ -z "$one" ] || [ -n "${value[$one]+x}" ] || value[$one]=$text; done < <(declared "$1")
  line "$name" "Dispatching started for transformation [$name]"
  if grep -q NoSuchStep <<<"$of"; then
    error log.0 'Error initializing step [log]'
    return 3
  fi
  rows=$(filled "$(grep -o '<limit>[^<]*' <<<"$of" | sed 's/.*>//')")
  # A generated value is what it says; the message before it is filled in.
  row=$(grep -o '<nullif>[^<]*' <<<"$of" | sed 's/.*>//')
  message=$(filled "$(grep -o '<logmessage>[^<]*' <<<"$of" | sed 's/.*>//')")
  if grep -q '<never_ending>Y' <<<"$of"; then
    for ((n = 1000; ; n += 1000)); do
      line log.0 "$message"
      line log.0 "msg = $row"
      line gen.0 "linenr $n"
      sleep .2
    done
  fi
  if grep -q '<type>Abort</type>' <<<"$of"; then
    error abort.0 'deliberate abort'
    line gen.0 'Finished processing (I=0, O=0, R=0, W=1, U=0, E=0)'
    line abort.0 'Finished processing (I=0, O=0, R=1, W=0, U=0, E=1)'
    line "$name" 'Transformation detected one or more steps with errors.'
    return 1
  fi
  for ((n = 0; n < rows; n++)); do
    line log.0 "$message"
    line log.0 "msg = $row"
  done
  line gen.0 "Finished processing (I=0, O=0, R=0, W=$rows, U=0, E=0)"
  line log.0 "Finished processing (I=0, O=0, R=$rows, W=$rows, U=0, E=0)"
}
# What stands in an element of a line.
within() { sed -n "s|.*<$1>\([^<]*\)</$1>.*|\1|p" <<<"$2"; }
# An entry of the job `$name` of the file `$of`.
entry() {
  local of_it file
  of_it=$(grep -F "<entry><name>$1</name>" "$of")
  file=$(within filename "$of_it")
  file=$(filled "${file//'${Internal.Job.Filename.Directory}'/$(dirname "$of")}")
  case $(within type "$of_it") in
    TRANS | JOB) ;;
    *) return 0 ;;
  esac
  [ -f "$file" ] || { error "$1" "Unable to load it from XML file [file://$file]"; return 1; }
  case $of_it in
    *'<type>TRANS</type>'*)
      line "$1" "Loading transformation from XML file [file://$file]"
      transformation "$file" ;;
    *)
      line "$1" "Loading job from XML file : [file://$file]"
      job "$file" ;;
  esac
}
# What comes after an entry that came out as $2: hops are walked as they are written.
follow() {
  local hop to good=$2 last=$2
  while read -r hop; do
    to=$(within to "$hop")
    [ "$(within unconditional "$hop")" = Y ] || [ "$(within evaluation "$hop" | tr YN 10)" = "$good" ] || continue
    line "$name" "Starting entry [$to]"
    last=0
    entry "$to" && last=1
    follow "$to" $last
    last=$came
    line "$name" "Finished job entry [$to] (result=[$([ $last = 1 ] && echo true || echo false)])"
  done < <(grep -o '<hop>.*</hop>' "$of" | sed 's|</hop>|&\n|g' | grep -F "<from>$1</from>")
  came=$last
}
job() {
  local of=$1 name came=1
  name=$(grep -o '<job><name>[^<]*' "$of" | sed 's/.*>//')
  while IFS='=' read -r one text; do [ -z "$one" ] || [ -n "${value[$one]+x}" ] || value[$one]=$text; done < <(declared "$of")
  line "$name" 'Start of job execution'
  follow START 1
  line "$name" 'Job execution finished'
  [ $came = 1 ]
}
rc=0
if [ $who = Pan ]; then
  transformation "$file" || rc=$?
else
  job "$file" || { rc=1; error Kitchen 'Finished with errors'; }
fi
own 'Finished!'
own "Processing ended after 0 seconds."
exit $rc
