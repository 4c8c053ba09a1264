#!/bin/bash
# A head-less Apache Hop from Maven Central, for the tests of .ci/engines/hop.
# usage: install.sh DIR [VERSION]     2.15.0 (default) or 2.11.0; Java 17, mvn, python3; 630 MB are fetched, 70 MB stay
# -> DIR/{lib/core,lib/jdbc,plugins,config,pwd,hop-run.sh,hop-server.sh,hop-conf.sh}: a head-less Apache Hop.
# HOP_PLUGINS="transforms/x actions/y ..." replaces the plugin selection, HOP_PLUGINS=all takes every one (+190 MB, slower start).
# KEEP_ZIP=1 leaves the 630 MB zip in the local Maven repository.
set -euo pipefail
D=$1; V=${2:-2.15.0}; HERE=$(cd "$(dirname "$0")" && pwd); T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
mkdir -p "$D"; D=$(cd "$D" && pwd); mkdir -p "$D"/lib/core "$D"/lib/jdbc "$D"/plugins "$D"/config "$D"/pwd
MVN="mvn -B -q -Dhop.version=$V"
P=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
$MVN -f "$HERE/pom.xml" $P:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$D/lib/core"
# the zip's own pom names a parent that is not on Central: only get 2.8 with transitive=false takes the file without reading the pom
REPO=$(mvn -B -q -N -f "$HERE/pom.xml" org.apache.maven.plugins:maven-help-plugin:3.4.0:evaluate -Dexpression=settings.localRepository -DforceStdout | sed 's|\x1b\[[0-9;]*m||g')
$MVN -f "$HERE/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:2.8:get -Dtransitive=false -Dartifact="org.apache.hop:hop-assemblies-plugins:$V:zip"
S=3.124.200 # only the class files of SWT are needed (hop-conf.sh reads option classes by reflection)
$MVN -f "$HERE/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:2.8:get -Dtransitive=false -Dartifact="org.eclipse.platform:org.eclipse.swt.gtk.linux.x86_64:$S:jar"
mkdir -p "$D/lib/swt/linux/$(uname -m)"; cp "$REPO/org/eclipse/platform/org.eclipse.swt.gtk.linux.x86_64/$S/org.eclipse.swt.gtk.linux.x86_64-$S.jar" "$D/lib/swt/linux/$(uname -m)/swt.jar"
Z="$REPO/org/apache/hop/hop-assemblies-plugins/$V/hop-assemblies-plugins-$V.zip"
SEL=${HOP_PLUGINS:-"transforms/abort transforms/addsequence transforms/calculator transforms/constant transforms/datagrid transforms/delay
 transforms/filterrows transforms/getvariable transforms/groupby transforms/ifnull transforms/javascript transforms/joinrows transforms/json
 transforms/memgroupby transforms/mergejoin transforms/mergerows transforms/pipelineexecutor transforms/regexeval transforms/rowgenerator
 transforms/rowsfromresult transforms/rowstoresult transforms/selectvalues transforms/setvariable transforms/sort transforms/splitfieldtorows
 transforms/streamlookup transforms/stringoperations transforms/switchcase transforms/systemdata transforms/tableinput transforms/tableoutput
 transforms/tableouput transforms/textfile transforms/uniquerows transforms/validator transforms/valuemapper transforms/workflowexecutor transforms/writetolog
 actions/abort actions/delay actions/eval actions/fileexists actions/pipeline actions/repeat actions/setvariables actions/shell actions/simpleeval
 actions/sql actions/success actions/workflow actions/writetofile actions/writetolog
 databases/generic databases/h2 databases/mariadb databases/mysql databases/postgresql databases/sqlite misc/projects misc/passwords"}
python3 - "$Z" "$D" "$SEL" <<'PY'
import sys, zipfile, os
z, d, sel = zipfile.ZipFile(sys.argv[1]), sys.argv[2], sys.argv[3].split()
core = ("lib/core/jsch-", "lib/core/xml-apis-", "lib/core/xercesImpl-", "lib/core/jakarta.mail-", "lib/core/jakarta.activation-",
        "lib/core/commons-math3-", "lib/core/json-smart-", "lib/core/accessors-smart-", "lib/core/commons-csv-", "lib/core/commons-text-", "lib/core/hop-misc-")
have = {p.rsplit("-", 1)[0] for p in os.listdir(d + "/lib/core")}
for n in z.namelist():
    if n.endswith("/"): continue
    if n.startswith("plugins/"): ok = sel == ["all"] or "/".join(n.split("/")[1:3]) in sel
    elif n.startswith("lib/core/"): ok = (sel == ["all"] or n.startswith(core)) and os.path.basename(n).rsplit("-", 1)[0] not in have
    elif n.startswith("lib/jdbc/"): ok = sel == ["all"] or "/h2-" in n or "/postgresql-" in n or "/sqlite-" in n or "/mariadb-" in n
    else: ok = False
    if ok: z.extract(n, d)
# hop-ui is there for its interfaces only: without its annotation index nothing scans it, so hop-run and hop-server start without SWT and JFace
for p in os.listdir(d + "/lib/core"):
    if p.startswith("hop-ui-"):
        p = d + "/lib/core/" + p; src = zipfile.ZipFile(p)
        with zipfile.ZipFile(p + ".new", "w", zipfile.ZIP_DEFLATED) as w:
            for n in src.namelist():
                if n != "META-INF/jandex.idx": w.writestr(n, src.read(n))
        os.replace(p + ".new", p)
PY
# MemoryGroupBy also implements an interface of the Beam engine, which is not on Central: six empty types are enough to load and verify it.
mkdir -p "$T/s" "$T/c"
st() { echo "package $1; public $2 ${3:-} {}" > "$T/s/$(echo "$2 " | sed 's/.*\(class\|interface\) \([A-Za-z]*\).*/\2/').java"; }
st org.apache.hop.beam.pipeline "interface IBeamPipelineTransformHandler"; st org.apache.hop.beam.engines "interface IBeamPipelineEngineRunConfiguration"
st org.apache.beam.sdk "class Pipeline"; st org.apache.beam.sdk.values "class PCollection" "implements POutput"; st org.apache.beam.sdk.values "interface POutput"
st org.apache.beam.sdk.transforms "abstract class PTransform"
J=${HOP_JAVA_HOME:-${JAVA_HOME:-}}; J=${J:+$J/bin/}
"${J}javac" -nowarn --release 17 -d "$T/c" $(find "$T/s" -name '*.java'); "${J}jar" cf "$D/lib/core/zz-beam-standin.jar" -C "$T/c" .

for t in hop-run:Run:org.apache.hop.run.HopRun hop-server:Server:org.apache.hop.www.HopServer hop-conf:Conf:org.apache.hop.config.HopConfig; do
IFS=: read -r N R C <<<"$t"
cat > "$D/$N.sh" <<SH
#!/usr/bin/env bash
# stand-in for the script of the same name: changes into its own folder, java is a plain child (no exec, no trap), its exit code is ours
WAS=\$(pwd); cd "\$(dirname "\$0")" || exit 1
JAVA=java; [ -n "\${JAVA_HOME}" ] && JAVA="\${JAVA_HOME}/bin/java"; [ -n "\${HOP_JAVA_HOME}" ] && JAVA="\${HOP_JAVA_HOME}/bin/java"
O="\${HOP_OPTIONS:--Xmx2048m} -DHOP_AUDIT_FOLDER=\${HOP_AUDIT_FOLDER:-./audit}"
for k in HOP_CONFIG_FOLDER HOP_SHARED_JDBC_FOLDERS HOP_PLUGIN_BASE_FOLDERS HOP_PASSWORD_ENCODER_PLUGIN HOP_AES_ENCODER_KEY HOP_AES_ENCODER_KEY_FILE; do
  [ -n "\${!k}" ] && O="\$O -D\$k=\${!k}"
done
O="\$O -DHOP_PLATFORM_RUNTIME=$R -DHOP_AUTO_CREATE_CONFIG=Y -DHOP_PLATFORM_OS=\$(uname -s)"
"\$JAVA" \$O -classpath "lib/core/*:lib/swt/linux/\$(uname -m)/*" $C "\$@"
RC=\$?
cd "\$WAS" || exit 1
exit \$RC
SH
chmod +x "$D/$N.sh"; done
echo 'cluster: cluster' > "$D/pwd/hop.pwd"
[ -n "${KEEP_ZIP:-}" ] || rm -f "$Z"
du -sm "$D/lib" "$D/plugins" | awk '{print $2": "$1" MB"}'
