import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { checkQuery } from '../../api/queries.ts'

const pauseMs = 350

/** What is wrong with a policy, asked once the writer pauses. */
export function useCheck(text: string) {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), pauseMs)
    return () => clearTimeout(timer)
  }, [text])
  return useQuery({ ...checkQuery(settled), placeholderData: keepPreviousData })
}
