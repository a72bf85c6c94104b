"""A client in Python, on grpcio: client.py GATEWAY SERVER SYMBOL, addresses of the gateway and of the instance behind it
and the symbol that the instance owns. Runs every case and prints a line for each."""

import sys
import traceback

# They name themselves.
import calls  # noqa: F401
import cases  # noqa: F401
from probe import CASES, LeftOut, Probe


def main(gateway, server, symbol):
    for name, case in CASES.items():
        probe = Probe(gateway, server, symbol)
        try:
            case(probe)
            print(f"passed {name}", flush=True)
        except LeftOut as why:
            print(f"left out {name}: {why}", flush=True)
        except Exception as error:
            traceback.print_exc()
            first, *_ = str(error).splitlines() or [""]
            why = f"{error.code().name}: {error.details()}" if hasattr(error, "details") else first
            print(f"failed {name}: {type(error).__name__}: {why}", flush=True)
        finally:
            probe.close()


main(*sys.argv[1:])
