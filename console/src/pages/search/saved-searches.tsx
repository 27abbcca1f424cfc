import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { Dialog, DialogTrigger, Popover } from 'react-aria-components'
import { api, unwrap } from '../../api/client.ts'
import { savedSearchesQuery } from '../../api/queries.ts'
import { Button, IconButton } from '../../parts/button.tsx'
import { Field } from '../../parts/field.tsx'
import { Shown } from '../../parts/states.tsx'
import { say } from '../../parts/toast.tsx'
import { type SearchParams, searchSearch } from '../../search-params.ts'

/** The reader's own searches, by name; kept by the gateway, so they are there on every machine. */
export function SavedSearches({ search }: { readonly search: SearchParams }) {
  const saved = useQuery(savedSearchesQuery)
  const client = useQueryClient()
  const again = (): Promise<void> => client.invalidateQueries({ queryKey: savedSearchesQuery.queryKey })
  const remove = useMutation({
    mutationFn: (id: string) =>
      unwrap(api.DELETE('/api/v1/saved-searches/{id}', { params: { path: { id } } })),
    onSettled: again,
  })
  return (
    <DialogTrigger>
      <Button icon="star">Saved</Button>
      <Popover className="popover popover-wide">
        <Dialog aria-label="Saved searches" className="stack">
          {({ close }) => (
            <>
              <Shown of={saved} lines={2}>
                {searches =>
                  searches.length === 0 ? (
                    <p className="soft">
                      None yet. A saved search is this page with its filters, under a name.
                    </p>
                  ) : (
                    <ul>
                      {searches.map(({ id, name, query }) => (
                        <li key={id} className="line spread">
                          <Link
                            to="/search"
                            search={searchSearch(Object.fromEntries(new URLSearchParams(query)))}
                            onClick={close}
                          >
                            {name}
                          </Link>
                          <IconButton
                            icon="cross"
                            label={`Forget ${name}`}
                            onPress={() => remove.mutate(id)}
                          />
                        </li>
                      ))}
                    </ul>
                  )
                }
              </Shown>
              <SaveForm search={search} onSaved={again} />
            </>
          )}
        </Dialog>
      </Popover>
    </DialogTrigger>
  )
}

function SaveForm({
  search,
  onSaved,
}: {
  readonly search: SearchParams
  readonly onSaved: () => Promise<void>
}) {
  const [name, setName] = useState('')
  const router = useRouter()
  const save = useMutation({
    mutationFn: () => {
      const query = router.options.stringifySearch?.(search).replace(/^\?/, '') ?? ''
      return unwrap(api.POST('/api/v1/saved-searches', { body: { name: name.trim(), query } }))
    },
    onSuccess: async () => {
      setName('')
      say('Search saved')
      await onSaved()
    },
    onError: error => say(error.message),
  })
  return (
    <form
      className="line save-form"
      onSubmit={event => {
        event.preventDefault()
        if (name.trim() !== '') save.mutate()
      }}
    >
      <Field label="Save this search as">
        {id => (
          <input
            id={id}
            className="input"
            value={name}
            maxLength={100}
            onChange={event => setName(event.target.value)}
          />
        )}
      </Field>
      <Button type="submit" tone="main" isDisabled={name.trim() === '' || save.isPending}>
        Save
      </Button>
    </form>
  )
}
