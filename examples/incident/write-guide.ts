/** Writes what the commands of the incident print into its guide: `script/node examples/incident/write-guide.ts`. */
import { guideWith, writeGuide } from './guide.ts'
import { tellIncident } from './story.ts'

const { printed } = await tellIncident()
await writeGuide(await guideWith(printed))
