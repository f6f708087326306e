"""A certificate for localhost and 127.0.0.1 until 2126, and its key: for tests, of no worth to anybody."""

import ssl
from pathlib import Path

PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgd3YWKtRiC1PUtad1
6tzwgwk2q914yxD3znEtUvK3lm6hRANCAASTGdXwmo4Wi7aYi4DWSadupmp2kBPC
Pbuaa1BqGor1SMpsejsXMOFq7UwV6X/8rHLvLO49/YXnE6q93a9+HY/h
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBxjCCAWygAwIBAgIUT+1bN4FOcOwcVwrRUNVffU7tYtQwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLc3luY2VyLXRlc3QwIBcNMjYxMTIzMjMyMTMzWhgPMjEyNjEw
MzAyMzIxMzNaMBYxFDASBgNVBAMMC3N5bmNlci10ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEkxnV8JqOFou2mIuA1kmnbqZqdpATwj27mmtQahqK9UjKbHo7
FzDhau1MFel//Kxy7yzuPf2F5xOqvd2vfh2P4aOBlTCBkjAdBgNVHQ4EFgQUQtIz
4HiOhcseZu0ldsLQk2PDI/swHwYDVR0jBBgwFoAUQtIz4HiOhcseZu0ldsLQk2PD
I/swDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEw
DgYDVR0PAQH/BAQDAgKEMBMGA1UdJQQMMAoGCCsGAQUFBwMBMAoGCCqGSM49BAMC
A0gAMEUCIQDRCe4zgb/QEJiLzV/GcM1+qeXICiLWcdWbThO92Hca/QIgNFJY+4ck
or4hHoztYJb+NmSi+MDYeoMvVLgY531GcEI=
-----END CERTIFICATE-----
"""


def vouched(folder):
    """A TLS context for a server, and the file of the authority that vouches for it, made in `folder`."""
    path = Path(folder, "test.pem")
    path.write_text(PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, str(path)
