"""auth token and auth status: which credential wins, and what is said when there is none."""

import json

from harness import PAT, WORKSPACE, Test, main

OTHER = "dapi" + "0f1e2d3c" * 4
HOST = "https://adb-1.2.azuredatabricks.net"


def config(*profiles):
    return "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + "\n" for name, keys in profiles)


class Auth(Test):
    def token(self, *args, env=None, **kwargs):
        self.h.secrets = []
        result = self.h.run("auth", "token", *args, env=env, **kwargs)
        self.h.secrets = [PAT, OTHER]
        return result

    def gives(self, token, *args, env=None):
        result = self.token(*args, env=env)
        self.assertEqual((result.code, result.out), (0, token + "\n"), f"one bare line\n{result}")
        self.assertNotIn(token, result.err, "the token belongs to stdout only")
        status = self.ok(self.h.run("auth", "status", *args, env=env))
        self.assertNotIn(token, status.text)
        document = json.loads(self.ok(self.h.run("auth", "status", "--json", *args, env=env)).out)
        self.assertNotIn(token, json.dumps(document))
        return status

    def none(self, *words, args=(), env=None):
        self.h.secrets = [PAT, OTHER]
        result = self.h.run("auth", "token", *args, env=env)
        self.is_error(result, 4, *words, unchanged=False)
        status = self.h.run("auth", "status", *args, env=env)
        self.assertEqual(status.code, 4, f"\n{status}")
        return result

    def test_no_credential_at_all(self):
        self.none(("databrickscfg", "DATABRICKS_TOKEN"))
        self.none(args=("--workspace", WORKSPACE))
        self.assertEqual(self.h.snapshot(with_state=True), {})

    def test_the_environment(self):
        status = self.gives(PAT, env={"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": PAT})
        self.says(status, "DATABRICKS_TOKEN", "adb-1.2.azuredatabricks.net")

    def test_a_token_without_a_host_needs_a_workspace(self):
        self.gives(PAT, "--workspace", WORKSPACE, env={"DATABRICKS_TOKEN": PAT})

    def test_a_token_goes_only_to_its_host(self):
        self.none("other.azuredatabricks.net", args=("--workspace", WORKSPACE),
                  env={"DATABRICKS_HOST": "https://other.azuredatabricks.net", "DATABRICKS_TOKEN": PAT})

    def test_the_host_may_be_spelled_in_many_ways(self):
        for host in (HOST, HOST + "/", "adb-1.2.azuredatabricks.net", HOST + "/?o=42", "HTTPS://ADB-1.2.azuredatabricks.net"):
            self.gives(PAT, "--workspace", WORKSPACE, env={"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": PAT})

    def test_the_default_profile(self):
        self.h.put(".databrickscfg", config(("DEFAULT", {"host": HOST, "token": PAT})), mode=0o600)
        status = self.gives(PAT)
        self.says(status, "DEFAULT", ".databrickscfg")

    def test_a_named_profile_by_flag_variable_and_configuration(self):
        self.h.put(".databrickscfg", config(("DEFAULT", {"host": HOST, "token": OTHER}), ("team", {"host": HOST, "token": PAT})), mode=0o600)
        self.gives(PAT, "--profile", "team")
        self.gives(PAT, env={"DATABRICKS_CONFIG_PROFILE": "team"})
        self.gives(OTHER, "--profile", "DEFAULT", env={"DATABRICKS_CONFIG_PROFILE": "team"})
        self.h.put(".config/dbx-agents/config.toml", 'profile = "team"\n')
        self.gives(PAT)

    def test_a_configuration_file_elsewhere(self):
        self.h.put("my cfg", config(("DEFAULT", {"host": HOST, "token": PAT})), mode=0o600)
        self.gives(PAT, env={"DATABRICKS_CONFIG_FILE": str(self.h.path("my cfg"))})
        self.none("nowhere", env={"DATABRICKS_CONFIG_FILE": str(self.h.path("nowhere"))})

    def test_the_environment_wins_over_the_file_and_a_named_profile_over_the_environment(self):
        self.h.put(".databrickscfg", config(("DEFAULT", {"host": HOST, "token": OTHER}), ("team", {"host": HOST, "token": OTHER})), mode=0o600)
        self.gives(PAT, env={"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": PAT})
        self.gives(OTHER, "--profile", "team", env={"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": PAT})

    def test_a_missing_profile_gets_a_suggestion(self):
        self.h.put(".databrickscfg", config(("DEFAULT", {"host": HOST, "token": PAT}), ("production", {"host": HOST, "token": PAT})), mode=0o600)
        self.none("prodution", "production", args=("--profile", "prodution"))

    def test_the_workspace_picks_the_profile_of_its_host(self):
        """Only DEFAULT or a named profile is taken; a token of another host never is."""
        self.h.put(".databrickscfg", config(("DEFAULT", {"host": "https://other.azuredatabricks.net", "token": OTHER})), mode=0o600)
        self.none("other.azuredatabricks.net", args=("--workspace", WORKSPACE))

    def test_details_of_the_file_format(self):
        text = ("; a comment\n# another\n\n[__settings__]\nauth_storage = secure\n\n[DEFAULT]\n"
                f"  host\t=  {HOST}/   # the main one\ntoken={PAT}\n; token = {OTHER}\ncluster_id = 0123-4567-abc\n\n[empty]\n")
        self.h.put(".databrickscfg", text, mode=0o600)
        self.gives(PAT)
        self.h.put(".databrickscfg", text.replace("\n", "\r\n"), mode=0o600)
        self.gives(PAT)
        self.h.put(".databrickscfg", b"\xef\xbb\xbf" + text.encode(), mode=0o600)
        self.gives(PAT)

    def test_a_profile_without_a_token_says_so(self):
        self.h.put(".databrickscfg", config(("DEFAULT", {"host": HOST, "auth_type": "databricks-cli"})), mode=0o600)
        self.none("DEFAULT", (".databrickscfg", "token"))

    def test_garbage_in_the_file(self):
        for data in (b"\x00\x01\x02\xff" * 100, b"[DEFAULT\nhost = x\n", b"host https://x\n", b"[DEFAULT]\nhost = not a url\ntoken = " + PAT.encode() + b"\n"):
            self.h.put(".databrickscfg", data, mode=0o600)
            self.none(".databrickscfg")

    def test_a_directory_in_the_files_place(self):
        self.h.path(".databrickscfg").mkdir()
        self.none(".databrickscfg")

    def test_a_very_long_file_and_line(self):
        self.h.put(".databrickscfg", "# " + "x" * 2_000_000 + "\n" + config(("DEFAULT", {"host": HOST, "token": PAT})), mode=0o600)
        self.assertIn(self.token().code, (0, 4))

    def test_an_empty_token_is_none(self):
        self.none(args=("--workspace", WORKSPACE), env={"DATABRICKS_TOKEN": ""})
        self.none(args=("--workspace", WORKSPACE), env={"DATABRICKS_TOKEN": "   "})

    def test_status_says_why(self):
        self.h.put(".databrickscfg", config(("DEFAULT", {"host": HOST, "token": OTHER})), mode=0o600)
        status = self.gives(PAT, env={"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": PAT})
        self.says(status, "environment", where="out")

    def test_quiet_and_verbose_keep_the_one_line(self):
        for flag in ("--quiet", "--verbose", "--no-color"):
            self.gives(PAT, flag, env={"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": PAT})

    def test_token_as_json(self):
        result = self.token("--json", env={"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": PAT})
        self.assertEqual(result.code, 0)
        self.assertIn(PAT, json.dumps(json.loads(result.out)))

    def test_nothing_is_written(self):
        self.gives(PAT, env={"DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": PAT})
        self.assertEqual(self.h.snapshot(with_state=True), {})


if __name__ == "__main__":
    main()
