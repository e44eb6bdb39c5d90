"""Authorities and certificates for one test run, made with the openssl tool: good ones, and each kind of bad one."""
import os
import subprocess


def _openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, env={
        "PATH": os.environ["PATH"], "OPENSSL_CONF": "/dev/null"})
    assert done.returncode == 0, "openssl %s: %s" % (" ".join(arguments), done.stderr[-800:])


class Authority:
    """A CA of its own in `folder`; `file` is its certificate."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.file, self.key, self.made = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key"), 0
        _write(folder, name + ".cnf", "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n"
                                      "keyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n")
        _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test %s" % name, "-days", "30",
                 "-keyout", self.key, "-out", self.file, "-config", name + ".cnf", "-extensions", "ca")

    def leaf(self, names=("IP:127.0.0.1", "DNS:localhost"), start=None, end=None, digest="sha256"):
        """(chain file, key file); start and end as the openssl tool takes them, YYYYMMDDHHMMSSZ."""
        self.made += 1
        stem = os.path.join(self.folder, "%s-%d" % (self.name, self.made))
        _write(self.folder, stem + ".cnf",
               "[ca]\ndefault_ca=d\n[d]\ndatabase=%s.db\nnew_certs_dir=%s\nrand_serial=yes\npolicy=p\n"
               "[p]\ncommonName=supplied\n[e]\nsubjectAltName=%s\nbasicConstraints=CA:FALSE\n"
               "[req]\ndistinguished_name=dn\n[dn]\n" % (stem, self.folder, ",".join(names)))
        _write(self.folder, stem + ".db", "")
        _openssl(self.folder, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=leaf", "-config",
                 stem + ".cnf", "-keyout", stem + ".key", "-out", stem + ".csr")
        times = ["-startdate", start, "-enddate", end] if start else ["-days", "10"]
        _openssl(self.folder, "ca", "-batch", "-notext", "-config", stem + ".cnf", "-extensions", "e", "-md", digest,
                 "-cert", self.file, "-keyfile", self.key, "-in", stem + ".csr", "-out", stem + ".pem", *times)
        return stem + ".pem", stem + ".key"


def self_signed(folder, names=("IP:127.0.0.1", "DNS:localhost")):
    stem = os.path.join(folder, "self")
    _write(folder, "self.cnf", "[req]\ndistinguished_name=dn\n[dn]\n[e]\nsubjectAltName=%s\n" % ",".join(names))
    _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=leaf", "-days", "10", "-keyout",
             stem + ".key", "-out", stem + ".pem", "-config", "self.cnf", "-extensions", "e")
    return stem + ".pem", stem + ".key"


def _write(folder, name, text):
    with open(os.path.join(folder, name), "w") as out:
        out.write(text)
