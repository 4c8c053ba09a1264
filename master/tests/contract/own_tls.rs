//! Servers of a test's own that speak TLS alone, and the authority that has signed their certificates.

use crate::own::{Kind, Own};
use mongodb::bson::doc;
use mongodb::options::{ClientOptions, Tls, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};

/// Each time it starts; `DATABASE` is in it then.
const MAKE_DATABASE: &str = "CREATE DATABASE IF NOT EXISTS hcndc CHARACTER SET utf8mb4;\n";
pub(crate) const DATABASE: &str = "hcndc";

pub(crate) struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn make(name: &str) -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { dir, issuer: Issuer::new(params, key) }
    }

    /// `ca.pem`.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server with a certificate for this name, which takes no connection without TLS.
    pub(crate) fn serve(&self, kind: Kind, name: &str) -> Own {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let put = |ending: &str, text: String| {
            let path = self.dir.path().join(format!("{kind:?}-{name}.{ending}"));
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let both = put("both", format!("{certificate}{}", key.serialize_pem()));
        let (certificate, key) = (put("cert", certificate), put("key", key.serialize_pem()));
        let ca = self.file().display().to_string();
        let args = match kind {
            Kind::Mariadb => vec![
                format!("--ssl-cert={certificate}"),
                format!("--ssl-key={key}"),
                "--require-secure-transport=ON".into(),
                format!("--init-file={}", put("sql", MAKE_DATABASE.into())),
            ],
            Kind::Mongod => [
                "--replSet rs0 --tlsMode requireTLS --tlsAllowConnectionsWithoutCertificates --tlsCertificateKeyFile",
                &both,
                "--tlsCAFile",
                &ca,
            ]
            .iter()
            .flat_map(|words| words.split(' '))
            .map(str::to_owned)
            .collect(),
            Kind::Redis => [
                "--port 0 --tls-port {port} --tls-auth-clients no --tls-cert-file",
                &certificate,
                "--tls-key-file",
                &key,
                "--tls-ca-cert-file",
                &ca,
            ]
            .iter()
            .flat_map(|words| words.split(' '))
            .map(str::to_owned)
            .collect(),
        };
        Own::start(kind, &args)
    }
}

/// Makes a mongod a replica set of one; what it answers to afterwards.
pub(crate) async fn initiate(port: u16, ca: &Path) -> mongodb::Client {
    let url = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let mut options = ClientOptions::parse(url).await.unwrap();
    let tls = TlsOptions::builder().ca_file_path(ca.to_path_buf()).build();
    options.tls = Some(Tls::Enabled(tls));
    let client = mongodb::Client::with_options(options).unwrap();
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
    let set = doc! { "_id": "rs0", "members": [member] };
    client.database("admin").run_command(doc! { "replSetInitiate": set }).await.unwrap();
    client
}
