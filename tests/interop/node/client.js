'use strict';
// A client in Node, on grpc-js: client.js GATEWAY SERVER SYMBOL, addresses of the gateway and of the instance behind it
// and the symbol that the instance owns. Runs every case and prints a line for each.

const { CASES } = require('./cases');
const { LeftOut, Probe } = require('./probe');

async function main(gateway, server, symbol) {
  for (const [name, run] of CASES) {
    const probe = new Probe(gateway, server, symbol);
    try {
      await run(probe);
      console.log(`passed ${name}`);
    } catch (error) {
      if (error instanceof LeftOut) {
        console.log(`left out ${name}: ${error.message}`);
      } else {
        console.error(error);
        console.log(`failed ${name}: ${error.message.split('\n')[0]}`);
      }
    } finally {
      probe.close();
    }
  }
}

main(...process.argv.slice(2)).then(() => process.exit());
