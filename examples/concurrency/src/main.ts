import { limiters } from './limiters.js'
import { FORMS, Services } from './trial.js'

// In whose name thirty calls leave, two at once, through what thirty requests share.
const services = await new Services().start()
for (const [name, open] of Object.entries(limiters)) {
  for (const form of FORMS) {
    const { own, foreign, ended, lost } = await services.run(open(2), form)
    console.log(
      `${name.padEnd(20)}${form.padEnd(20)}own ${own}, foreign ${foreign}, ended ${ended}, lost ${lost}`,
    )
  }
}
await services.close()
